const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');

/**
 * Keeps what V8 has compiled of the bundle for the next start, which takes a fifth off it: Node.js does so itself from 22.1 on.
 *
 * Everything here may fail (a read-only home, a full disk) and is then as if it did not exist.
 *
 * @param {readonly string[]} argv Arguments; each command has a file of its own, since each compiles other functions.
 * @returns {() => void} Keeps what this run has compiled and the file lacks; to be called when the work is done, and not for a command
 *   that does not exist.
 */
function keepCompiled(argv) {
  const nothing = () => {};
  // Not in the temporary folder, where others could plant code.
  const { XDG_CACHE_HOME, HOME } = process.env;
  const home = XDG_CACHE_HOME || HOME;
  if (!home) return nothing;
  const folder = path.join(XDG_CACHE_HOME || path.join(home, '.cache'), 'sensordb', 'compile');
  if (!isOwn(home) || !make(folder) || !isOwn(folder)) return nothing;
  if (Module.enableCompileCache !== undefined) {
    Module.enableCompileCache(folder);
    return nothing;
  }
  const command = argv.filter((word) => /^[a-z]+$/.test(word)).slice(0, 2);
  const file = path.join(folder, [process.version, process.arch, ...command].join('-'));
  return compileThrough(file);
}

/**
 * Whether nobody else can write there. `sudo` can leave HOME at another user's, whose code root must not run, and in whose home it must
 * leave no folders of its own.
 */
function isOwn(folder) {
  try {
    const { uid, mode } = fs.statSync(folder);
    return process.geteuid === undefined || (uid === process.geteuid() && (mode & 0o022) === 0);
  } catch {
    return false;
  }
}

function make(folder) {
  try {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    return true;
  } catch {
    return false;
  }
}

/** Has the bundle's files compiled with what the file holds of them. */
function compileThrough(file) {
  const { Script } = require('node:vm');
  const dist = path.join(__dirname, '..', 'dist');
  const main = path.join(dist, 'main.js');
  const scripts = new Map();
  let mainSource = '';
  let kept = {};
  let isComplete = true;
  const compile = Module.prototype._compile;
  Module.prototype._compile = function compileKept(source, filename) {
    if (path.dirname(filename) !== dist) return compile.call(this, source, filename);
    // esbuild names the chunks by their contents, and main.js names them: where main.js is the same, so are they all. V8 itself
    // compares nothing but the length of a source.
    if (filename === main) {
      mainSource = source;
      kept = read(file, source);
    }
    const name = path.basename(filename);
    const cachedData = kept[name];
    const script = new Script(Module.wrap(source), { filename, cachedData });
    if (cachedData === undefined || script.cachedDataRejected) isComplete = false;
    scripts.set(name, script);
    const requireHere = (id) => this.require(id);
    return script.runInThisContext().call(this.exports, this.exports, requireHere, this, filename, dist);
  };
  return () => {
    if (!isComplete) write(file, { main: mainSource, scripts, kept });
  };
}

/** @returns {Record<string, Buffer>} What V8 compiled of each file of this very bundle. */
function read(file, source) {
  try {
    const bytes = fs.readFileSync(file);
    const body = bytes.subarray(4);
    // V8 11 ends the process where these bytes are damaged: it looks at their length and version alone.
    if (require('node:zlib').crc32(body) !== bytes.readUInt32LE()) return {};
    const { main, files } = require('node:v8').deserialize(body);
    return main === source ? files : {};
  } catch {
    return {};
  }
}

/** Writes beside and renames, so that two runs at once or a crash leave a whole file. */
function write(file, { main, scripts, kept }) {
  const beside = `${file}.${process.pid}`;
  try {
    const handle = fs.openSync(beside, 'wx', 0o600);
    try {
      const files = { ...kept };
      for (const [name, script] of scripts) files[name] = script.createCachedData();
      const body = require('node:v8').serialize({ main, files });
      const checksum = Buffer.alloc(4);
      checksum.writeUInt32LE(require('node:zlib').crc32(body));
      fs.writeFileSync(handle, Buffer.concat([checksum, body]));
    } finally {
      fs.closeSync(handle);
    }
    fs.renameSync(beside, file);
  } catch {
    fs.rmSync(beside, { force: true });
  }
}

module.exports = keepCompiled;
