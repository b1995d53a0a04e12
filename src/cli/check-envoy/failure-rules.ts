import type { Rule } from './rule.ts';
import { everySetting, field, type Setting, textOf } from './setting.ts';
import { isExtAuthz, typedOf } from './typed.ts';
import { durationMs, flagOf, isOn, numberOf } from './values.ts';

/** What lets a request pass that was never decided about: errors, fractions, switches. */
export const failureRules: readonly Rule[] = [
  {
    id: 'failure_mode_allow',
    severity: 'finding',
    check: ({ root }, report) => {
      for (const config of authorizations(root)) {
        const setting = field(config, 'failure_mode_allow');
        if (isOn(setting)) {
          const text =
            'whoever can make the check slow or fail gets in: no answer in time passes as an allow; set it to false';
          report(setting, 'failure_mode_allow', text);
        }
      }
    },
  },
  {
    id: 'status_on_error',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const { config } of guarded.flatMap(({ authz }) => authz)) {
        const code = field(config, 'status_on_error', 'code');
        if (code === undefined || isErrorStatus(code)) continue;
        const text = 'a check that failed is told to the client as a success or a redirect; take Forbidden';
        report(code, 'status_on_error', text);
      }
    },
  },
  {
    id: 'filter_enabled',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const { config } of guarded.flatMap(({ authz }) => authz)) {
        const enabled = field(config, 'filter_enabled');
        if (enabled === undefined || deniesAtDisable(config)) continue;
        const whole = isWhole(field(enabled, 'default_value'));
        if (whole && textOf(enabled, 'runtime_key') === undefined) continue;
        const part = whole
          ? 'a runtime key can switch the check off, and what is not checked passes'
          : 'the rest of the requests passes without being checked';
        report(enabled, 'filter_enabled', `${part}; leave it out, or set deny_at_disable: { default_value: true }`);
      }
    },
  },
  {
    id: 'filter_enabled_metadata',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const { config } of guarded.flatMap(({ authz }) => authz)) {
        const metadata = field(config, 'filter_enabled_metadata');
        if (metadata === undefined || deniesAtDisable(config)) continue;
        const text =
          'a request whose metadata does not match passes without being checked; leave it out, or set deny_at_disable: { default_value: true }';
        report(metadata, 'filter_enabled_metadata', text);
      }
    },
  },
  {
    id: 'disabled',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const { entry } of guarded.flatMap(({ authz }) => authz)) {
        const disabled = field(entry, 'disabled');
        if (isOn(disabled)) {
          const text = 'nothing is checked but on routes that switch the filter on; delete it';
          report(disabled, 'disabled', text);
        }
      }
    },
  },
  {
    id: 'is_optional',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const { entry } of guarded.flatMap(({ authz }) => authz)) {
        const optional = field(entry, 'is_optional');
        if (isOn(optional)) {
          report(optional, 'is_optional', 'an Envoy that was built without ext_authz serves unchecked; delete it');
        }
      }
    },
  },
  {
    id: 'xds_matcher',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const { matcher } of guarded.flatMap(({ authz }) => authz)) {
        if (matcher === undefined) continue;
        const text =
          'a matcher chooses which requests are checked, and the others pass; put ext_authz into http_filters itself';
        report(matcher, 'xds_matcher', text);
      }
    },
  },
  {
    id: 'timeout',
    severity: 'note',
    check: ({ guarded }, report) => {
      for (const { config } of guarded.flatMap(({ authz }) => authz)) {
        const service = field(config, 'grpc_service') ?? field(config, 'http_service', 'server_uri');
        const timeout = field(service, 'timeout');
        if (timeout === undefined) continue;
        const ms = durationMs(timeout);
        if (ms !== undefined && ms > 0 && ms <= MAX_TIMEOUT_MS) continue;
        const text = 'a stuck check holds its request for longer than 1 s (0s: for ever); 0.2s to 0.5s are usual';
        report(timeout, 'timeout', text);
      }
    },
  },
  {
    id: 'validate_mutations',
    severity: 'note',
    check: ({ guarded }, report) => {
      for (const { config } of guarded.flatMap(({ authz }) => authz)) {
        if (flagOf(field(config, 'validate_mutations')) === true) continue;
        const text = 'Envoy does not examine the headers that an answer sets; set it to true as a second lock';
        report(field(config, 'validate_mutations') ?? config, 'validate_mutations', text);
      }
    },
  },
];

const MAX_TIMEOUT_MS = 1_000;

/** Every ext_authz config in the file, of the HTTP and of the network filter. */
function* authorizations(root: Setting): Generator<Setting> {
  for (const setting of everySetting(root)) {
    const typed = typedOf(setting);
    if (typed !== undefined && (isExtAuthz(typed) || /\.network\.ext_authz\.\w+\.ExtAuthz$/.test(typed.type))) {
      yield typed.config;
    }
  }
}

function deniesAtDisable(config: Setting): boolean {
  return flagOf(field(config, 'deny_at_disable', 'default_value')) === true;
}

const DENOMINATORS: Readonly<Record<string, number>> = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 };

function isWhole(fraction: Setting | undefined): boolean {
  const numerator = numberOf(field(fraction, 'numerator')) ?? 0;
  const written = (textOf(fraction, 'denominator') ?? 'HUNDRED').toUpperCase();
  const denominator = DENOMINATORS[written] ?? Object.values(DENOMINATORS)[Number(written)];
  return denominator !== undefined && numerator >= denominator;
}

/** Envoy takes a status by number or by name. */
function isErrorStatus(code: Setting): boolean {
  const number = numberOf(code);
  if (number !== undefined) return number >= 400 && number <= 599;
  return !NO_ERRORS.has(String(code.scalar).toLowerCase());
}

const NO_ERRORS: ReadonlySet<string> = new Set(
  ['empty', 'continue', 'ok', 'created', 'accepted', 'nonauthoritativeinformation', 'nocontent', 'resetcontent'].concat(
    ['partialcontent', 'multistatus', 'alreadyreported', 'imused', 'multiplechoices', 'movedpermanently', 'found'],
    ['seeother', 'notmodified', 'useproxy', 'temporaryredirect', 'permanentredirect'],
  ),
);

/** What of rate limits passes when their service does not answer. */
export const rateLimitRules: readonly Rule[] = [
  {
    id: 'failure_mode_deny',
    severity: 'finding',
    check: ({ root }, report) => {
      for (const setting of everySetting(root)) {
        const typed = typedOf(setting);
        if (typed === undefined || !/\.filters\.(?:http|network)\.ratelimit\.\w+\.RateLimit$/.test(typed.type))
          continue;
        const deny = field(typed.config, 'failure_mode_deny');
        const percent = field(typed.config, 'failure_mode_deny_percent');
        const whole = percent === undefined || isWhole(field(percent, 'default_value'));
        if (flagOf(deny) === true && whole) continue;
        const text = 'a rate limit service that is down, or slower than its timeout, limits nobody; set it to true';
        report((flagOf(deny) === true ? percent : deny) ?? typed.config, 'failure_mode_deny', text);
      }
    },
  },
];
