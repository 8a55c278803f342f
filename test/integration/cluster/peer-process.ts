/**
 * A broker's end of the streams in a process of its own, to be killed and paused. Given no port it serves, and tells
 * its port; given one it connects there.
 */
import { brokerEpoch, brokerId } from '../../../src/model/brands.ts';
import { PeerPair } from './peer-pair.ts';

const port = Number(process.argv[2] ?? 0);
const pair = new PeerPair();
if (port === 0) {
  await pair.start();
  process.send?.(pair.endpoint.port);
} else {
  const endpoint = { name: '', host: '127.0.0.1', port };
  const { stream } = pair.connectControl(endpoint);
  stream.send({ kind: 'goodbye', brokerId: brokerId(1), brokerEpoch: brokerEpoch(1) });
  pair.connectReplication(endpoint).stream.send([{ kind: 'credit', bytes: 1 }]);
}
