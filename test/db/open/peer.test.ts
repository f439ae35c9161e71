import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { open, refusalOf } from './support.ts';

describe('a peer that is no PostgreSQL', () => {
  let peer: Server;
  let answer: (socket: Socket) => void;
  const address = () => {
    const bound = peer.address();
    return `host=127.0.0.1 port=${typeof bound === 'object' ? bound?.port : 0} user=u sslmode=require`;
  };

  beforeAll(async () => {
    peer = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => answer(socket));
    });
    await new Promise<void>((done) => peer.listen(0, '127.0.0.1', done));
  });
  afterAll(() => peer.close());

  it('is not believed when it sends more than the answer to the request for TLS', async () => {
    answer = (socket) => socket.end('SBEGIN');
    const error = await refusalOf(open(address()));
    expect(error.facts.code).toBe('tls_failed');
  });

  it('is reported when it hangs up instead of an answer or a handshake', async () => {
    answer = (socket) => socket.destroy();
    expect((await refusalOf(open(address()))).facts.code).toBe('server_unreachable');
    answer = (socket) => {
      socket.write('S');
      socket.once('data', () => socket.destroy());
    };
    expect((await refusalOf(open(address()))).facts.code).toBe('tls_failed');
  });

  it('is given up after connect_timeout, in whichever stage it falls silent', async () => {
    answer = () => {};
    const silent = await refusalOf(open(`${address()} connect_timeout=1`));
    expect(silent.facts.code).toBe('server_unreachable');
    expect(silent.message).toContain('no answer in time');
    answer = (socket) => socket.write('S');
    expect((await refusalOf(open(`${address()} connect_timeout=1`))).message).toContain('no answer in time');
    const startup = await refusalOf(open(`${address()} connect_timeout=1 sslmode=disable`));
    expect(startup.message).toContain('no answer in time');
  });
});
