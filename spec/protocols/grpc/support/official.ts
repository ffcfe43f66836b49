import definition from 'rocketmq-client-nodejs/proto/apache/rocketmq/v2/definition_pb.js'
import service from 'rocketmq-client-nodejs/proto/apache/rocketmq/v2/service_pb.js'

/**
 * The official generated protobuf classes: an independent oracle for our codec. They are the
 * ones that the Node client itself uses.
 */
export { definition, service }

export const bytesOf = (message: { serializeBinary(): Uint8Array }): Buffer =>
  Buffer.from(message.serializeBinary())

export const resourceOf = (
  name: string,
  namespace = '',
): InstanceType<typeof definition.Resource> =>
  new definition.Resource().setName(name).setResourceNamespace(namespace)
