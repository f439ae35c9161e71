import { nodeCrypto } from './lazy.ts';

// Takes the place of `crypto` in the driver when it is bundled: a login without a password (a socket, a certificate) has no
// use for it. These are all that the driver (3.4.9) uses.
export default {
  get createHash() {
    return nodeCrypto().createHash;
  },
  get createHmac() {
    return nodeCrypto().createHmac;
  },
  get pbkdf2Sync() {
    return nodeCrypto().pbkdf2Sync;
  },
  get randomBytes() {
    return nodeCrypto().randomBytes;
  },
};
