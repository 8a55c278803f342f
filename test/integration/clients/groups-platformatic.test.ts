/** Consumer groups of @platformatic/kafka against a development cluster, by both of Kafka's protocols. */
import { testGroupsOf } from '../../support/group-suite.ts';

testGroupsOf('platformatic');
testGroupsOf('platformatic-848');
