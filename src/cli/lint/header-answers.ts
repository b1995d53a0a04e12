/** Which member of `input` has, verified, what policies look for in a header. */
const ANSWERS: readonly (readonly [header: RegExp, answer: string])[] = [
  [/^(?:proxy-)?authorization$|^(?:x-)?api-key$|^x-goog-api-key$/, '`input.identity`, which is verified'],
  [/^x-sallyport-/, '`input.identity`: headers of this name are what Sallyport sends, not what it is sent'],
  [/^x-(?:tenant|org|organi[sz]ation|account|customer|workspace)(?:-|$)/, '`input.identity.tenant`'],
  [
    /^x-(?:auth-request-|forwarded-|remote-)?(?:user|subject|sub|email|principal)(?:-|$)|^remote-user$/,
    '`input.identity.subject`',
  ],
  [/^x-(?:auth-request-|forwarded-)?(?:role|group)s?(?:-|$)/, '`input.identity.roles`'],
  [/^x-scopes?(?:-|$)/, '`input.identity.scopes`'],
  [/^x-(?:tier|plan)(?:-|$)/, '`input.identity.tier`'],
  [/^x-forwarded-client-cert$|^x-(?:ssl-)?client-(?:cert|verify|dn)/, '`input.peer`'],
  [
    /^x-forwarded-for$|^forwarded$|^x-real-ip$|^(?:true-client|cf-connecting|x-client|x-envoy-external-address)(?:-ip)?$/,
    '`input.network.client_ip`',
  ],
  [/^host$|^:authority$|^x-forwarded-host$/, '`input.request.host`'],
  [
    /^:path$|^x-(?:envoy-)?original-(?:path|url)$|^x-rewrite-url$/,
    '`input.request.path` or `input.route`, which are canonical',
  ],
  [/^:method$|^x-http-method(?:-override)?$/, '`input.request.method`'],
  [/^content-length$/, '`input.request.size`, which says whether the size is known'],
  [/^content-type$/, '`input.request.content_type`'],
];

/** What to read instead of a header, whose name is in lower case; `undefined` where only the header has it. */
export function answerOf(header: string): string | undefined {
  return ANSWERS.find(([pattern]) => pattern.test(header))?.[1];
}
