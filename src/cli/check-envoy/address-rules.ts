import type { Rule } from './rule.ts';
import { everySetting, field, listOf } from './setting.ts';
import { typedOf } from './typed.ts';
import { flagOf, isOn, numberOf } from './values.ts';

/** Whether the client's address is one that the client cannot write. */
export const addressRules: readonly Rule[] = [
  {
    id: 'use_remote_address',
    severity: 'finding',
    check: ({ guarded }, report, { trustedHops }) => {
      for (const { config, authz } of guarded) {
        if (flagOf(field(config, 'use_remote_address')) === true) continue;
        // Envoy takes one or the other; the rule of that name says what to see to.
        if (listOf(config, 'original_ip_detection_extensions').length > 0) continue;
        const hops = numberOf(field(config, 'xff_num_trusted_hops')) ?? 0;
        const overHttp = authz.some((filter) => field(filter.config, 'http_service') !== undefined);
        if (trustedHops === 0 && hops === 0 && !overHttp) continue;
        const text = `${whenRead(trustedHops, hops, overHttp)} the address is read from x-forwarded-for, all of which the client writes; set it to true`;
        report(field(config, 'use_remote_address') ?? config, 'use_remote_address', text);
      }
    },
  },
  {
    id: 'skip_xff_append',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const { config } of guarded) {
        const skipped = field(config, 'skip_xff_append');
        if (isOn(skipped)) {
          const text =
            'x-forwarded-for ends with an entry that the client wrote, and hops are counted from there; delete it';
          report(skipped, 'skip_xff_append', text);
        }
      }
    },
  },
  {
    id: 'xff_num_trusted_hops',
    severity: 'finding',
    check: ({ guarded }, report, { trustedHops }) => {
      if (trustedHops === undefined || trustedHops === 0) return;
      for (const { config } of guarded) {
        const setting = field(config, 'xff_num_trusted_hops');
        const hops = numberOf(setting) ?? 0;
        // Envoy appends its direct peer, so with no proxy before it the client is the first entry from the right.
        if (trustedHops <= hops + 1) continue;
        const text = `trusted_hops: ${trustedHops} reads an entry that the client wrote, when Envoy has ${hops} trusted proxies before it; take ${hops + 1} there, or say here how many there are`;
        report(setting ?? config, 'xff_num_trusted_hops', text);
      }
    },
  },
  {
    id: 'original_ip_detection_extensions',
    severity: 'note',
    check: ({ guarded }, report) => {
      for (const { config } of guarded) {
        for (const extension of listOf(config, 'original_ip_detection_extensions')) {
          const text = 'says who the client is; see that no client can write what it reads';
          report(extension, 'original_ip_detection_extensions', text);
        }
      }
    },
  },
  {
    id: 'proxy_protocol',
    severity: 'note',
    check: ({ root }, report) => {
      for (const setting of everySetting(root)) {
        const typed = typedOf(setting);
        if (typed === undefined || !/\.listener\.proxy_protocol\.\w+\.ProxyProtocol$/.test(typed.type)) continue;
        const text = 'whoever connects to this listener names its own address; see that only the load balancer can';
        report(setting, 'proxy_protocol', text);
      }
    },
  },
];

function whenRead(trustedHops: number | undefined, hops: number, overHttp: boolean): string {
  if (trustedHops !== undefined && trustedHops > 0) return `with trusted_hops: ${trustedHops}`;
  if (hops > 0) return `with xff_num_trusted_hops: ${hops}`;
  return overHttp ? 'over the HTTP service' : 'unless trusted_hops is 0 (say --trusted-hops 0)';
}
