import {
  bool,
  bytes,
  defineMessage,
  double,
  inOneof,
  int32,
  int64,
  type MessageTable,
  message,
  messageMap,
  messages,
  text,
  textMap,
  uint32,
  utf8,
} from '../../listener/wire-message.ts';

// Every message that an envoy.service.auth.v3.CheckRequest can contain, by JSON name and field number. A field that a
// later Envoy adds is skipped, as protobuf wants it.

/** google.protobuf.Timestamp */
export const Timestamp = defineMessage('Timestamp', { seconds: int64(1), nanos: int32(2) });

/** google.protobuf.Any, not expanded. */
export const AnyMessage = defineMessage('Any', { typeUrl: text(1), value: bytes(2) });

const valueTable = (): MessageTable => Value.table;

/** google.protobuf.Struct */
export const Struct = defineMessage('Struct', { fields: messageMap(1, valueTable) });

/** google.protobuf.ListValue */
export const ListValue = defineMessage('ListValue', { values: messages(1, valueTable) });

/** google.protobuf.Value */
export const Value = defineMessage('Value', {
  nullValue: inOneof('kind', int32(1)),
  numberValue: inOneof('kind', double(2)),
  stringValue: inOneof('kind', text(3)),
  boolValue: inOneof('kind', bool(4)),
  structValue: inOneof(
    'kind',
    message(5, () => Struct.table),
  ),
  listValue: inOneof(
    'kind',
    message(6, () => ListValue.table),
  ),
});

/** envoy.config.core.v3.Metadata */
export const Metadata = defineMessage('Metadata', {
  filterMetadata: messageMap(1, () => Struct.table),
  typedFilterMetadata: messageMap(2, () => AnyMessage.table),
});

/** envoy.config.core.v3.HeaderValue */
export const HeaderValue = defineMessage('HeaderValue', { key: text(1), value: text(2), rawValue: bytes(3) });

/** envoy.config.core.v3.HeaderMap */
export const HeaderMap = defineMessage('HeaderMap', { headers: messages(1, () => HeaderValue.table) });

/** envoy.config.core.v3.SocketAddress */
export const SocketAddress = defineMessage('SocketAddress', {
  protocol: int32(1),
  address: text(2),
  portValue: inOneof('port_specifier', uint32(3)),
  namedPort: inOneof('port_specifier', text(4)),
  resolverName: text(5),
  ipv4Compat: bool(6),
  networkNamespaceFilepath: text(7),
});

/** envoy.config.core.v3.Pipe */
export const Pipe = defineMessage('Pipe', { path: text(1), mode: uint32(2) });

/** envoy.config.core.v3.EnvoyInternalAddress */
export const EnvoyInternalAddress = defineMessage('EnvoyInternalAddress', {
  serverListenerName: inOneof('address_name_specifier', text(1)),
  endpointId: text(2),
});

/** envoy.config.core.v3.Address */
export const Address = defineMessage('Address', {
  socketAddress: inOneof(
    'address',
    message(1, () => SocketAddress.table),
  ),
  pipe: inOneof(
    'address',
    message(2, () => Pipe.table),
  ),
  envoyInternalAddress: inOneof(
    'address',
    message(3, () => EnvoyInternalAddress.table),
  ),
});

/** AttributeContext.Peer */
export const Peer = defineMessage('Peer', {
  address: message(1, () => Address.table),
  service: text(2),
  labels: textMap(3),
  principal: text(4),
  certificate: text(5),
});

/** AttributeContext.HttpRequest */
export const HttpRequest = defineMessage('HttpRequest', {
  id: text(1),
  method: text(2),
  headers: textMap(3),
  path: text(4),
  host: text(5),
  scheme: text(6),
  query: text(7),
  fragment: text(8),
  size: int64(9),
  protocol: text(10),
  body: utf8(11),
  rawBody: bytes(12),
  headerMap: message(13, () => HeaderMap.table),
});

/** AttributeContext.Request */
export const Request = defineMessage('Request', {
  time: message(1, () => Timestamp.table),
  http: message(2, () => HttpRequest.table),
});

/** AttributeContext.TLSSession */
export const TlsSession = defineMessage('TLSSession', { sni: text(1) });

/** envoy.service.auth.v3.AttributeContext */
export const AttributeContext = defineMessage('AttributeContext', {
  source: message(1, () => Peer.table),
  destination: message(2, () => Peer.table),
  request: message(4, () => Request.table),
  contextExtensions: textMap(10),
  metadataContext: message(11, () => Metadata.table),
  tlsSession: message(12, () => TlsSession.table),
  routeMetadataContext: message(13, () => Metadata.table),
});

/** envoy.service.auth.v3.CheckRequest */
export const CheckRequest = defineMessage('CheckRequest', { attributes: message(1, () => AttributeContext.table) });
