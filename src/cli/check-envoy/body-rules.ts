import type { Bootstrap } from './bootstrap.ts';
import type { Rule } from './rule.ts';
import { field, listOf, type Setting, textOf } from './setting.ts';
import { httpFiltersOf, isExtAuthz, type Override, upgradesOf } from './typed.ts';
import { flagOf, isOn } from './values.ts';

/** Whether the whole body is judged, and the body that the upstream gets. */
export const bodyRules: readonly Rule[] = [
  {
    id: 'allow_partial_message',
    severity: 'finding',
    check: (bootstrap, report) => {
      for (const { buffer } of buffers(bootstrap)) {
        const partial = field(buffer, 'allow_partial_message');
        if (isOn(partial)) {
          const text =
            'a body over max_request_bytes is judged by its beginning and passed whole; set it to false, so that Envoy answers 413';
          report(partial, 'allow_partial_message', text);
        }
      }
    },
  },
  {
    id: 'pack_as_bytes',
    severity: 'finding',
    check: (bootstrap, report) => {
      for (const { buffer, overGrpc } of buffers(bootstrap)) {
        if (!overGrpc || flagOf(field(buffer, 'pack_as_bytes')) === true) continue;
        const text = 'bytes that are no UTF-8 reach the policy as `!`, not as the upstream reads them; set it to true';
        report(field(buffer, 'pack_as_bytes') ?? buffer, 'pack_as_bytes', text);
      }
    },
  },
  {
    id: 'disable_request_body_buffering',
    severity: 'finding',
    check: (bootstrap, report) => {
      for (const { config } of routeOverrides(bootstrap)) {
        const disabled = field(config, 'check_settings', 'disable_request_body_buffering');
        if (isOn(disabled)) {
          const text =
            'no rule about the body (model, tokens, schema, size of a chunked one) can hold on this route; delete it';
          report(disabled, 'disable_request_body_buffering', text);
        }
      }
    },
  },
  {
    id: 'with_request_body',
    severity: 'note',
    check: ({ guarded }, report) => {
      for (const { config } of guarded.flatMap(({ authz }) => authz)) {
        if (field(config, 'with_request_body') !== undefined) continue;
        const text =
          'Sallyport sees no body: routes with a size limit deny chunked requests, and rules about the model of a body deny; set max_request_bytes unless Envoy sends the AI metadata';
        report(config, 'with_request_body', text);
      }
    },
  },
  {
    id: 'upgrade_configs',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const { config, routes } of guarded) {
        const levels = [config, ...routes.map(({ action }) => action)];
        for (const upgrade of levels.flatMap(upgradesOf)) {
          const type = textOf(upgrade, 'upgrade_type') ?? '';
          const text = `after one check \`${type}\` carries what it likes, unseen and without a size limit; delete it, or accept it for routes that need it`;
          report(upgrade, 'upgrade_configs', text);
          const filters = listOf(upgrade, 'filters');
          if (filters.length > 0 && !httpFiltersOf(filters).some(isExtAuthz)) {
            const unasked = `\`${type}\` has filters of its own without ext_authz, so it passes without being checked; add ext_authz to them`;
            report(field(upgrade, 'filters') ?? upgrade, 'filters', unasked);
          }
        }
      }
    },
  },
];

/** Every override of a route of a connection that asks. */
export function* routeOverrides({ guarded }: Bootstrap): Generator<Override> {
  const seen = new Set<Setting>();
  for (const override of guarded.flatMap(({ routes }) => routes.flatMap(({ overrides }) => overrides.flat()))) {
    if (!seen.has(override.config)) yield override;
    seen.add(override.config);
  }
}

interface Buffer {
  readonly buffer: Setting;
  /** Over HTTP the body travels as it is. */
  readonly overGrpc: boolean;
}

function* buffers(bootstrap: Bootstrap): Generator<Buffer> {
  const filters = bootstrap.guarded.flatMap(({ authz }) => authz);
  for (const { config } of filters) {
    const buffer = field(config, 'with_request_body');
    if (buffer !== undefined) yield { buffer, overGrpc: field(config, 'grpc_service') !== undefined };
  }
  const overGrpc = filters.some(({ config }) => field(config, 'grpc_service') !== undefined);
  for (const { config } of routeOverrides(bootstrap)) {
    const buffer = field(config, 'check_settings', 'with_request_body');
    if (buffer !== undefined) yield { buffer, overGrpc };
  }
}
