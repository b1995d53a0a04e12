/** What a CheckRequest of the benchmark asks about. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Packed as bytes, as the samples have it. */
  readonly body: string;
}

/** The protobuf bytes of the CheckRequest that Envoy would send (envoy.service.auth.v3, field numbers of its API). */
export function encodeCheckRequest(asked: Asked): Buffer {
  const http = message(
    text(1, '6418837311046914131'),
    text(2, asked.method),
    ...Object.entries({ ':method': asked.method, ':path': asked.path, ...asked.headers }).map(([name, value]) =>
      bytes(3, message(text(1, name), text(2, value))),
    ),
    text(4, asked.path),
    text(5, 'inference.example.com'),
    text(6, 'http'),
    text(10, 'HTTP/1.1'),
    bytes(12, Buffer.from(asked.body)),
  );
  const request = message(bytes(1, message(varint(1, 1_793_620_800), varint(2, 123_456_789))), bytes(2, http));
  const attributes = message(
    bytes(1, peer('203.0.113.7', 51_732)),
    bytes(2, peer('10.0.0.12', 8_080)),
    bytes(4, request),
    bytes(11, Buffer.alloc(0)),
  );
  return message(bytes(1, attributes));
}

/** gRPC's length-prefixed message, uncompressed. */
export function toGrpcFrame(payload: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(payload.byteLength, 1);
  return Buffer.concat([head, payload]);
}

/** `google.rpc.Status.code` of a CheckResponse; 0, which is an allow, where it is absent. */
export function checkResponseCode(payload: Buffer): number {
  const [tag, length, codeTag, code] = payload;
  if (tag !== 0x0a || length === undefined || length === 0) return 0;
  return codeTag === 0x08 ? (code ?? 0) : 0;
}

function peer(address: string, port: number): Buffer {
  return message(bytes(1, message(bytes(1, message(text(2, address), varint(3, port))))));
}

function message(...fields: readonly Buffer[]): Buffer {
  return Buffer.concat(fields);
}

function text(field: number, value: string): Buffer {
  return bytes(field, Buffer.from(value));
}

function bytes(field: number, value: Buffer): Buffer {
  return Buffer.concat([encodeVarint((field << 3) | 2), encodeVarint(value.byteLength), value]);
}

function varint(field: number, value: number): Buffer {
  return Buffer.concat([encodeVarint(field << 3), encodeVarint(value)]);
}

function encodeVarint(value: number): Buffer {
  const out: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    out.push((rest % 128) | 0x80);
    rest = Math.floor(rest / 128);
  }
  out.push(rest);
  return Buffer.from(out);
}
