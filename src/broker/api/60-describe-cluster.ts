/** DescribeCluster 0–2: the brokers (KIP-700), from 2 on the fenced ones too where asked for (KIP-1073). */
import { errorCodes } from '../../wire/error-codes.ts';
import { describeClusterApi } from '../../wire/messages/60-describe-cluster.ts';
import { clientNodes, controllerFor } from '../cluster-view.ts';
import { serve } from '../services.ts';
import { allClusterOperations } from './03-metadata.ts';

const brokerEndpoints = 1;
const controllerEndpoints = 2;
const mismatchedEndpointType = errorCodes.MISMATCHED_ENDPOINT_TYPE;
const unsupportedEndpointType = errorCodes.UNSUPPORTED_ENDPOINT_TYPE;

export const describeCluster = serve(describeClusterApi, (services, request, { listener }) => {
  const { endpointType } = request;
  if (endpointType !== brokerEndpoints) {
    const isKnown = endpointType === controllerEndpoints;
    return {
      errorCode: isKnown ? mismatchedEndpointType : unsupportedEndpointType,
      errorMessage: isKnown
        ? 'this is a broker listener, not a controller listener'
        : `unknown endpoint type ${endpointType}`,
      endpointType,
    };
  }
  const image = services.image();
  const nodes = clientNodes(image, listener);
  const brokers = nodes.map((node) => ({
    brokerId: node.nodeId as number,
    host: node.host,
    port: node.port,
    rack: node.rack,
    isFenced: false,
  }));
  if (request.includeFencedBrokers)
    for (const [id, { record }] of image.brokers) {
      const endpoint = record.listeners.find((one) => one.name === listener);
      if (record.state === 'fenced' && endpoint)
        brokers.push({ brokerId: id, host: endpoint.host, port: endpoint.port, rack: record.rack, isFenced: true });
    }
  return {
    errorCode: 0,
    endpointType,
    clusterId: services.clusterId,
    controllerId: controllerFor(image, nodes),
    brokers: brokers.sort((a, b) => a.brokerId - b.brokerId),
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? allClusterOperations : -2147483648,
  };
});
