import {
  checkDoorListen,
  type DoorListenConfig,
  doorListenSchemaProperties,
  type ListenFault,
} from '../../listener/config.ts';

/** The door for Envoy's ext_authz HTTP service. */
export interface ExtAuthzHttpConfig extends DoorListenConfig {
  /** What Envoy's `path_prefix` puts before the original path; begins and ends with a slash here. */
  readonly path_prefix: string;
  /** Request headers, lower case, that Envoy's `allowed_upstream_headers` lists too. */
  readonly upstream_headers: readonly string[];
  readonly deadline_ms: number;
  readonly max_body_bytes: number;
}

const TOKEN = "^[!#$%&'*+.^_`|~0-9a-z-]{1,256}$";

export const extAuthzHttpConfigSchema = {
  type: 'object',
  properties: {
    ...doorListenSchemaProperties,
    path_prefix: {
      type: 'string',
      pattern: '^/(?:[A-Za-z0-9._~-]{1,64}/){0,8}$',
      default: '/ext-authz/',
      description: "Envoy's `path_prefix` with a slash at its end; matched byte for byte on the raw request target.",
    },
    upstream_headers: {
      type: 'array',
      items: { type: 'string', pattern: TOKEN },
      uniqueItems: true,
      default: [],
      description:
        'Request headers that an Allow may set, in lower case: the same list as `allowed_upstream_headers` in Envoy.',
    },
    deadline_ms: {
      type: 'integer',
      minimum: 10,
      maximum: 60_000,
      default: 150,
      description: "When Envoy's own timer is due at the latest, in milliseconds; the answer leaves at 80 % of it.",
    },
    max_body_bytes: {
      type: 'integer',
      minimum: 0,
      maximum: 67_108_864,
      default: 1_048_576,
      description: "Largest body of a check; at least Envoy's `with_request_body.max_request_bytes`.",
    },
  },
  required: ['listen'],
  additionalProperties: false,
} as const;

/** Names that Envoy or HTTP itself owns: the core lets no policy set them, so listing one is a misunderstanding. */
const NEVER_SET = /^(?:host|content-length|transfer-encoding|connection|x-envoy-.*)$/;

/** What the schema cannot say; `path` is the door's own, such as `doors.ext_authz_http`. Reads the TLS files. */
export function checkExtAuthzHttpConfig(
  path: string,
  config: ExtAuthzHttpConfig,
  options: { readonly insecureUnauthenticatedDoor: boolean },
): readonly ListenFault[] {
  const unsettable = config.upstream_headers.flatMap((name, index) =>
    NEVER_SET.test(name)
      ? [{ path: `${path}.upstream_headers[${index}]`, message: `no policy can set \`${name}\`; remove it` }]
      : [],
  );
  return [...checkDoorListen(path, config, options), ...unsettable];
}
