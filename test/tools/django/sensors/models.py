"""The models of the sensors, by hand: the tables belong to sensordb, so none is managed."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Device(models.Model):
    name = models.TextField()
    serial_number = models.TextField(unique=True)
    kind = models.TextField(default="", blank=True)
    unit = models.TextField(default="", blank=True)
    location = models.TextField(default="", blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        managed = False


class SensorReading(models.Model):
    # Django may take id for the primary key: the sequence keeps it unique over all partitions.
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="readings")
    timestamp = models.DateTimeField()
    value = models.FloatField()

    class Meta:
        managed = False


class SensorAggregate(models.Model):
    # value_avg is left out: the database generates it, and refuses an insert that names it.
    device = models.ForeignKey(
        Device, on_delete=models.DO_NOTHING, db_constraint=False, related_name="aggregates"
    )
    hour = models.DateTimeField()
    reading_count = models.BigIntegerField()
    value_sum = models.FloatField()
    value_min = models.FloatField()
    value_max = models.FloatField()
    value_sxx = models.FloatField()
    first_at = models.DateTimeField()
    first_value = models.FloatField()
    last_at = models.DateTimeField()
    last_value = models.FloatField()
    value_sketch = ArrayField(models.IntegerField())

    class Meta:
        managed = False
        unique_together = [("device", "hour")]
