/**
 * Is the broker in this container well? Asks /healthz as curl would, which slim images do not have. Its address is
 * CORDWOOD_HTTP_LISTENER's (or 127.0.0.1:9644); a broker that listens on every interface is asked on the loopback.
 */
import { get } from 'node:http';

const [, host, port] = /^(.*):(\d+)$/.exec(process.env.CORDWOOD_HTTP_LISTENER ?? '') ?? ['', '', '9644'];
const isEverywhere = host === '' || host === '0.0.0.0' || host === '[::]';
const request = get({ host: isEverywhere ? '127.0.0.1' : host, port, path: '/healthz', timeout: 2500 }, (response) => {
  process.exit(response.statusCode === 200 ? 0 : 1);
});
request.on('timeout', () => request.destroy(new Error('no answer')));
request.on('error', (error) => {
  console.error(error.message);
  process.exit(1);
});
