import {
  checkDoorListen,
  type DoorListenConfig,
  doorListenSchemaProperties,
  type ListenFault,
} from '../../listener/config.ts';

/** The door for Envoy's ext_authz over gRPC. */
export interface ExtAuthzGrpcConfig extends DoorListenConfig {
  /** A longer CheckRequest is denied unread. */
  readonly max_message_bytes: number;
}

export const extAuthzGrpcConfigSchema = {
  type: 'object',
  description: "Envoy's ext_authz over gRPC (envoy.service.auth.v3), with grpc.health.v1 beside it.",
  properties: {
    ...doorListenSchemaProperties,
    max_message_bytes: {
      type: 'integer',
      minimum: 1024,
      maximum: 67_108_864,
      default: 8_388_608,
      description:
        'A CheckRequest longer than this is denied; keep it above `with_request_body.max_request_bytes` of Envoy.',
    },
  },
  required: ['listen'],
  additionalProperties: false,
} as const;

/** What the schema cannot say; `path` is the door's own, such as `doors.ext_authz_grpc`. Reads the TLS files. */
export function checkExtAuthzGrpcConfig(
  path: string,
  config: ExtAuthzGrpcConfig,
  options: { readonly insecureUnauthenticatedDoor: boolean },
): readonly ListenFault[] {
  return checkDoorListen(path, config, options);
}
