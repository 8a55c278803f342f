/** Consumer groups of KafkaJS against a development cluster. */
import { testGroupsOf } from '../../support/group-suite.ts';

testGroupsOf('kafkajs');
