import type { Bootstrap } from './bootstrap.ts';
import type { Rule } from './rule.ts';
import { everySetting, field, type Setting } from './setting.ts';
import { typedOf } from './typed.ts';
import { enumOf, flagOf, isOn } from './values.ts';

/** Whether a certificate, and what a proxy says of one, can be believed. */
export const peerRules: readonly Rule[] = [
  {
    id: 'trust_chain_verification',
    severity: 'finding',
    check: ({ root }, report) => {
      for (const setting of everySetting(root)) {
        const verification = field(setting, 'trust_chain_verification');
        if (verification === undefined || enumOf(verification, CHAIN) === 'VERIFY_TRUST_CHAIN') continue;
        const text = 'with ACCEPT_UNTRUSTED a self-signed certificate names any identity; delete it';
        report(verification, 'trust_chain_verification', text);
      }
    },
  },
  {
    id: 'allow_expired_certificate',
    severity: 'finding',
    check: ({ root }, report) => {
      for (const setting of everySetting(root)) {
        const allowed = field(setting, 'allow_expired_certificate');
        if (isOn(allowed)) {
          report(allowed, 'allow_expired_certificate', 'a certificate stays good for ever once it leaks; delete it');
        }
      }
    },
  },
  {
    id: 'require_client_certificate',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const tls of new Set(guarded.map((connection) => connection.tls))) {
        if (tls === undefined || !verifiesPeer(tls) || requiresCertificate(tls)) continue;
        const text = 'a client CA is set but a client without a certificate is let in; set it to true';
        report(field(tls, 'require_client_certificate') ?? tls, 'require_client_certificate', text);
      }
    },
  },
  {
    id: 'trusted_ca',
    severity: 'finding',
    check: (bootstrap, report) => {
      for (const tls of new Set(bootstrap.guarded.map((connection) => connection.tls))) {
        if (tls === undefined || !requiresCertificate(tls) || verifiesPeer(tls)) continue;
        const text =
          'a client certificate is required but verified against nothing, so anybody’s will do; add a validation_context with trusted_ca';
        report(field(tls, 'common_tls_context') ?? tls, 'trusted_ca', text);
      }
      for (const tls of authorizerTls(bootstrap)) {
        if (verifiesPeer(tls)) continue;
        const text =
          'whoever stands between Envoy and Sallyport can answer every check with an allow; add a validation_context with trusted_ca';
        report(field(tls, 'common_tls_context') ?? tls, 'trusted_ca', text);
      }
    },
  },
  {
    id: 'forward_client_cert_details',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const { config, tls } of guarded) {
        const details = field(config, 'forward_client_cert_details');
        const mode = enumOf(details, XFCC) ?? 'SANITIZE';
        if (details === undefined || mode === 'SANITIZE' || mode === 'SANITIZE_SET') continue;
        // Behind mTLS the peers are known, and `identity.mtls.xfcc.trusted_peers` says which of them is believed.
        const mutual = tls !== undefined && requiresCertificate(tls) && verifiesPeer(tls);
        if (mutual && mode !== 'ALWAYS_FORWARD_ONLY') continue;
        const text =
          'the client’s own x-forwarded-client-cert goes on, and with it any identity it likes; set it to SANITIZE_SET (SANITIZE without mTLS)';
        report(details, 'forward_client_cert_details', text);
      }
    },
  },
  {
    id: 'include_peer_certificate',
    severity: 'note',
    check: ({ guarded }, report) => {
      for (const { authz, tls } of guarded) {
        if (tls === undefined || !verifiesPeer(tls)) continue;
        for (const { config } of authz) {
          const overGrpc = field(config, 'grpc_service') !== undefined;
          if (!overGrpc || flagOf(field(config, 'include_peer_certificate')) === true) continue;
          const text =
            'Sallyport gets the name of the peer but not its certificate: tokens bound to one are denied; set it to true';
          report(field(config, 'include_peer_certificate') ?? config, 'include_peer_certificate', text);
        }
      }
    },
  },
];

const CHAIN: Readonly<Record<number, string>> = { 0: 'VERIFY_TRUST_CHAIN', 1: 'ACCEPT_UNTRUSTED' };

const XFCC: Readonly<Record<number, string>> = {
  0: 'SANITIZE',
  1: 'FORWARD_ONLY',
  2: 'APPEND_FORWARD',
  3: 'SANITIZE_SET',
  4: 'ALWAYS_FORWARD_ONLY',
};

function requiresCertificate(tls: Setting): boolean {
  return flagOf(field(tls, 'require_client_certificate')) === true;
}

/** Whether the other side's certificate is checked against something; what comes by SDS is taken for that. */
function verifiesPeer(tls: Setting): boolean {
  const common = field(tls, 'common_tls_context');
  const context =
    field(common, 'validation_context') ?? field(common, 'combined_validation_context', 'default_validation_context');
  const anchors = ['trusted_ca', 'ca_certificate_provider_instance', 'system_root_certs', 'custom_validator_config'];
  const pins = ['verify_certificate_hash', 'verify_certificate_spki'];
  return (
    [...anchors, ...pins].some((name) => field(context, name) !== undefined) ||
    field(common, 'validation_context_sds_secret_config') !== undefined ||
    field(common, 'combined_validation_context', 'validation_context_sds_secret_config') !== undefined
  );
}

function* authorizerTls({ authorizers, clusters }: Bootstrap): Generator<Setting> {
  for (const name of authorizers) {
    const cluster = clusters.get(name);
    if (cluster === undefined) continue;
    for (const setting of everySetting(cluster)) {
      const typed = typedOf(setting);
      if (typed?.type.endsWith('.UpstreamTlsContext') === true) yield typed.config;
    }
  }
}
