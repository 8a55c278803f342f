import assert from 'node:assert/strict';
import { describe, test } from 'vitest';
import { brokerMessage, controllerMessage } from '../../../src/cluster/control-codec.ts';
import { ProtobufError, ProtobufWriter } from '../../../src/cluster/protobuf.ts';
import type { MessageType } from '../../../src/cluster/protobuf-message.ts';
import { brokerMessages, controllerMessages } from './peer-samples.ts';
import { type ForeignCodec, foreignCodecs, sameFacts } from './proto-files.ts';

const [foreignBroker, foreignController] = foreignCodecs('control.proto', 'cordwood.control.v1.Control', 'Stream');

function agreement<Message extends { readonly kind: string }>(
  ours: MessageType<Message | null>,
  theirs: ForeignCodec,
  samples: readonly Message[],
): void {
  for (const [index, sample] of samples.entries()) {
    test(`${sample.kind} (${index}) comes back as it was`, () => {
      assert.deepEqual(ours.decode(ours.encode(sample)), sample);
    });
    // Results of admin commands are one of two fields here and one type there.
    if (sample.kind !== 'adminAnswer' && sample.kind !== 'replicaStates')
      test(`${sample.kind} (${index}) says the same to protobufjs, by the names of the .proto file`, () => {
        assert.deepEqual(sameFacts(sample, theirs.decode(ours.encode(sample))), []);
      });
    test(`${sample.kind} (${index}) written by protobufjs is read the same`, () => {
      assert.deepEqual(ours.decode(theirs.encode(theirs.decode(ours.encode(sample)))), sample);
    });
    test(`${sample.kind} (${index}) cut short never reads as another message`, () => {
      const bytes = ours.encode(sample);
      for (let length = 1; length < bytes.length; length++)
        assert.throws(() => ours.decode(bytes.subarray(0, length)), ProtobufError);
    });
  }
}

describe('broker to controller', () => agreement(brokerMessage, foreignBroker, brokerMessages));
describe('controller to broker', () => agreement(controllerMessage, foreignController, controllerMessages));

test('a message of a kind that only a newer broker knows is passed over', () => {
  const writer = new ProtobufWriter();
  writer.tag(99, 2);
  writer.text('news');
  assert.equal(brokerMessage.decode(writer.bytes()), null);
});

test('fields that only a newer broker knows are passed over', () => {
  const goodbye = new ProtobufWriter();
  goodbye.tag(50, 0);
  goodbye.varint(1);
  goodbye.tag(51, 1);
  goodbye.double(1);
  goodbye.tag(1, 0);
  goodbye.zigzag(4);
  const writer = new ProtobufWriter();
  writer.tag(5, 2);
  writer.delimited(goodbye.bytes());
  assert.deepEqual(brokerMessage.decode(writer.bytes()), { kind: 'goodbye', brokerId: 4, brokerEpoch: 0 });
});

const registrationRefused = (fill: (fault: ProtobufWriter) => void): Buffer => {
  const fault = new ProtobufWriter();
  fill(fault);
  const body = new ProtobufWriter();
  body.tag(1, 2);
  body.delimited(fault.bytes());
  const writer = new ProtobufWriter();
  writer.tag(2, 2);
  writer.delimited(body.bytes());
  return writer.bytes();
};

test('a fault of a newer broker still tells its code and its reason', () => {
  const bytes = registrationRefused((fault) => {
    fault.tag(1, 2);
    fault.text('NOT_INVENTED_YET');
    fault.tag(9, 2);
    fault.text('because');
  });
  assert.deepEqual(controllerMessage.decode(bytes), {
    kind: 'registrationRefused',
    fault: { code: 'INVALID_REQUEST', reason: 'NOT_INVENTED_YET: because' },
  });
});

const wrongValues: readonly (readonly [string, Buffer])[] = [
  [
    'a fault without one of its facts',
    registrationRefused((fault) => {
      fault.tag(1, 2);
      fault.text('OFFSET_OUT_OF_RANGE');
    }),
  ],
  [
    'a broker id below -1',
    registrationRefused((fault) => {
      fault.tag(1, 2);
      fault.text('NOT_LEADER');
      fault.tag(2, 0);
      fault.zigzag(-5);
    }),
  ],
  ['a registration that is not there', Buffer.from('0a00', 'hex')],
  ['a field of the wrong wire type', Buffer.from('2a020a00', 'hex')],
];

for (const [title, bytes] of wrongValues)
  test(`${title} makes the message malformed`, () => {
    const type: MessageType<unknown> =
      title.includes('fault') || title.includes('id') ? controllerMessage : brokerMessage;
    assert.throws(() => type.decode(bytes), ProtobufError);
  });

test('a config named __proto__ is a config', () => {
  const configs = JSON.parse('{"__proto__":"x"}');
  const sent = brokerMessages.find((message) => message.kind === 'admin' && message.command.kind === 'createTopics');
  assert.ok(sent?.kind === 'admin' && sent.command.kind === 'createTopics');
  const [topic] = sent.command.topics;
  assert.ok(topic);
  const bytes = brokerMessage.encode({ ...sent, command: { ...sent.command, topics: [{ ...topic, configs }] } });
  const read = brokerMessage.decode(bytes);
  assert.ok(read?.kind === 'admin' && read.command.kind === 'createTopics');
  assert.deepEqual(Object.entries(read.command.topics[0]?.configs ?? {}), [['__proto__', 'x']]);
});
