"""Uses the migrated database through Django's ORM, and exits with 1 at the first surprise.

Every check runs in a transaction of its own that is rolled back, so none depends on another.
"""

import os
import sys
import traceback
from datetime import datetime, timedelta, timezone
from decimal import Decimal

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"

import django  # noqa: E402

django.setup()

from django.apps import apps  # noqa: E402
from django.db import DataError, IntegrityError, connection, transaction  # noqa: E402
from django.db.models import Avg, Count, F, Max, Sum  # noqa: E402
from django.db.models.functions import TruncHour  # noqa: E402
from orders.models import Order, OrderLineItem, Payment  # noqa: E402
from sensors.models import Device, SensorAggregate, SensorReading  # noqa: E402

START = datetime(2026, 1, 31, 22, 0, tzinfo=timezone.utc)


def equal(actual, expected):
    if actual != expected:
        raise AssertionError(f"got {actual!r}, expected {expected!r}")


def refused(error, work):
    try:
        with transaction.atomic():
            work()
    except error:
        return
    raise AssertionError(f"nothing raised {error.__name__}")


def device(serial="S-1", **more):
    return Device.objects.create(name="Boiler", serial_number=serial, **more)


def readings(owner, count=240):
    """One a minute, from 22:00 on the last of January: half of them in February."""
    rows = [
        SensorReading(device=owner, timestamp=START + timedelta(minutes=n), value=float(n))
        for n in range(count)
    ]
    return SensorReading.objects.bulk_create(rows)


def models_match_the_tables():
    with connection.cursor() as cursor:
        for model in apps.get_models():
            described = connection.introspection.get_table_description(cursor, model._meta.db_table)
            columns = {column.name: column.null_ok for column in described}
            columns.pop("value_avg", None)
            equal({field.column: field.null for field in model._meta.fields}, columns)


def device_create_and_read():
    made = device(metadata={"floor": 3, "tags": ["a"]})
    found = Device.objects.get(pk=made.pk)
    equal((found.serial_number, found.metadata, found.is_active), ("S-1", {"floor": 3, "tags": ["a"]}, True))
    equal(found.created_at.tzinfo is not None, True)
    equal(Device.objects.filter(metadata__floor=3, metadata__tags__contains=["a"]).count(), 1)
    refused(IntegrityError, device)


def device_save_and_update():
    made = device()
    made.location = "cellar"
    made.save()
    fresh = Device.objects.get(pk=made.pk)
    equal((fresh.location, fresh.updated_at > fresh.created_at), ("cellar", True))
    equal(Device.objects.filter(pk=made.pk).update(is_active=False, name=F("serial_number")), 1)
    fresh.refresh_from_db()
    equal((fresh.is_active, fresh.name), (False, "S-1"))


def device_get_or_create():
    first, made = Device.objects.get_or_create(serial_number="S-2", defaults={"name": "a"})
    second, made_again = Device.objects.get_or_create(serial_number="S-2", defaults={"name": "b"})
    equal((made, made_again, first.pk == second.pk, second.name), (True, False, True, "a"))
    third, made = Device.objects.update_or_create(serial_number="S-2", defaults={"name": "c"})
    equal((made, third.pk == first.pk, Device.objects.get(pk=first.pk).name), (False, True, "c"))


def reading_create_and_read():
    owner = device()
    one = SensorReading.objects.create(device=owner, timestamp=START, value=1.5)
    found = SensorReading.objects.select_related("device").get(pk=one.pk)
    equal((found.timestamp, found.value, found.device.serial_number), (START, 1.5, "S-1"))
    refused(IntegrityError, lambda: SensorReading.objects.create(device_id=-1, timestamp=START, value=1))


def reading_bulk_create_over_partitions():
    made = readings(device())
    equal(len({row.pk for row in made if row.pk is not None}), 240)
    with connection.cursor() as cursor:
        cursor.execute("select tableoid::regclass::text, count(*) from sensors_sensorreading group by 1 order by 1")
        equal(
            cursor.fetchall(),
            [("sensors_sensorreading_2026_01", 120), ("sensors_sensorreading_2026_02", 120)],
        )


def reading_bulk_create_ignores_no_row():
    owner = device()
    rows = [SensorReading(device=owner, timestamp=START, value=1.0) for _ in range(2)]
    SensorReading.objects.bulk_create(rows, ignore_conflicts=True)
    equal(SensorReading.objects.count(), 2)


def reading_out_of_every_partition():
    SensorReading.objects.create(device=device(), timestamp=datetime(1970, 1, 1, tzinfo=timezone.utc), value=0)
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from sensors_sensorreading_default")
        equal(cursor.fetchone(), (1,))


def reading_filter_and_annotate():
    owner = device()
    readings(owner)
    late = owner.readings.filter(timestamp__gte=START + timedelta(hours=1), timestamp__lt=START + timedelta(hours=3))
    equal((late.count(), late.order_by("-timestamp").first().value), (120, 179.0))
    hours = (
        SensorReading.objects.annotate(hour=TruncHour("timestamp"))
        .values("hour")
        .annotate(n=Count("id"), mean=Avg("value"), top=Max("value"))
        .order_by("hour")
    )
    equal([row["n"] for row in hours], [60] * 4)
    equal((hours[0]["mean"], hours[3]["top"]), (29.5, 239.0))
    equal(Device.objects.annotate(n=Count("readings"), total=Sum("readings__value")).get().n, 240)


def reading_save_and_update():
    owner = device()
    one = readings(owner, 1)[0]
    one.value = 9.0
    one.save()
    equal(SensorReading.objects.get(pk=one.pk).value, 9.0)
    equal(SensorReading.objects.filter(pk=one.pk).update(value=F("value") + 1), 1)
    one.refresh_from_db()
    equal(one.value, 10.0)


def reading_moves_to_the_partition_of_its_new_time():
    one = readings(device(), 1)[0]
    one.timestamp = START + timedelta(days=1)
    one.save()
    with connection.cursor() as cursor:
        cursor.execute("select id from sensors_sensorreading_2026_02")
        equal(cursor.fetchall(), [(one.pk,)])


def reading_bulk_update_and_delete():
    made = readings(device(), 150)
    for row in made:
        row.value = -1.0
    SensorReading.objects.bulk_update(made, ["value"], batch_size=50)
    equal(SensorReading.objects.filter(value=-1.0).count(), 150)
    equal(made[0].delete()[0], 1)
    equal(SensorReading.objects.filter(timestamp__gte=START + timedelta(hours=2)).delete()[0], 30)
    equal(SensorReading.objects.count(), 119)


def reading_select_for_update():
    one = readings(device(), 1)[0]
    with transaction.atomic():
        locked = SensorReading.objects.select_for_update(of=("self",)).select_related("device").get(pk=one.pk)
        locked.value = 2.0
        locked.save(update_fields=["value"])
    equal(SensorReading.objects.get(pk=one.pk).value, 2.0)


def device_delete_takes_readings_along():
    owner, other = device(), device("S-2")
    readings(owner, 200)
    readings(other, 10)
    total, by_model = owner.delete()
    equal((total, by_model), (201, {"sensors.SensorReading": 200, "sensors.Device": 1}))
    equal((SensorReading.objects.count(), Device.objects.count()), (10, 1))


def device_delete_without_cascade_is_refused():
    owner = device()
    readings(owner, 1)
    refused(IntegrityError, lambda: Device.objects.filter(pk=owner.pk)._raw_delete("default"))


def aggregate_outlives_its_device():
    owner = device()
    state = {"value_sum": 3.0, "value_min": 1.0, "value_max": 2.0, "value_sxx": 0.5, "reading_count": 2}
    ends = {"first_at": START, "first_value": 1.0, "last_at": START, "last_value": 2.0, "value_sketch": [655360001]}
    made, new = SensorAggregate.objects.update_or_create(device=owner, hour=START, defaults={**state, **ends})
    made.value_sum = 4.0
    made.save()
    again, new_again = SensorAggregate.objects.update_or_create(device=owner, hour=START, defaults=ends)
    equal((new, new_again, again.pk == made.pk, again.value_sum), (True, False, True, 4.0))
    with connection.cursor() as cursor:
        cursor.execute("select value_avg from sensors_sensoraggregate")
        equal(cursor.fetchall(), [(2.0,)])
    device_id = owner.pk
    owner.delete()
    equal(SensorAggregate.objects.get(device_id=device_id).reading_count, 2)


def order_with_lines_and_payments():
    with transaction.atomic():
        order = Order.objects.create(number="A-1", customer_id=7, currency="EUR")
        OrderLineItem.objects.bulk_create(
            OrderLineItem(order=order, line_no=n, sku=f"SKU-{n}", quantity=n, unit_price=Decimal("5.25"))
            for n in (1, 2)
        )
        paid = Payment.objects.create(
            order=order, provider="bank", provider_reference="r-1", currency="EUR", amount=Decimal("15.75")
        )
        order.total_amount = order.lines.aggregate(sum=Sum(F("quantity") * F("unit_price")))["sum"]
        order.save()
    equal(Order.objects.get(customer_id=7, status="pending").total_amount, Decimal("15.75"))
    Payment.objects.filter(pk=paid.pk).update(status="captured", paid_at=START)
    equal(Order.objects.filter(payments__status="captured").get().currency, "EUR")
    refused(IntegrityError, lambda: Order.objects.create(number="A-1", customer_id=8, currency="EUR"))
    refused(IntegrityError, lambda: Order.objects.filter(pk=order.pk).update(status="lost"))
    refused(IntegrityError, lambda: order.lines.update(quantity=0))
    refused(
        IntegrityError,
        lambda: Payment.objects.create(
            order=order, provider="bank", provider_reference="r-1", currency="EUR", amount=1
        ),
    )
    equal(order.delete()[0], 4)


def order_select_for_update():
    Order.objects.create(number="A-1", customer_id=7, currency="EUR")
    with transaction.atomic():
        order = Order.objects.select_for_update(skip_locked=True).get(number="A-1")
        order.status = "paid"
        order.save()
    equal(Order.objects.filter(status="paid").count(), 1)


def failed_transaction_leaves_nothing():
    def work():
        device()
        Order.objects.create(number="A-1", customer_id=7, currency="euro")

    refused(DataError, work)
    equal(Device.objects.count(), 0)


CHECKS = [
    models_match_the_tables,
    device_create_and_read,
    device_save_and_update,
    device_get_or_create,
    reading_create_and_read,
    reading_bulk_create_over_partitions,
    reading_bulk_create_ignores_no_row,
    reading_out_of_every_partition,
    reading_filter_and_annotate,
    reading_save_and_update,
    reading_moves_to_the_partition_of_its_new_time,
    reading_bulk_update_and_delete,
    reading_select_for_update,
    device_delete_takes_readings_along,
    device_delete_without_cascade_is_refused,
    aggregate_outlives_its_device,
    order_with_lines_and_payments,
    order_select_for_update,
    failed_transaction_leaves_nothing,
]


def run(check):
    try:
        with transaction.atomic():
            check()
            transaction.set_rollback(True)
    except Exception:
        print(f"not ok {check.__name__}\n{traceback.format_exc()}")
        return False
    print(f"ok {check.__name__}")
    return True


sys.exit(0 if all([run(check) for check in CHECKS]) else 1)
