/** Consumer groups of kcat (librdkafka, its balanced consumer) against a development cluster. */
import { testGroupsOf } from '../../support/group-suite.ts';

testGroupsOf('kcat');
