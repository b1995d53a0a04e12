import type { AccessRequest } from '../decision/access-request.ts';

/** Whether the request asks for another protocol on its connection; the gateway never shows what is sent after that. */
export function isUpgrade({ method, headers }: AccessRequest): boolean {
  if (method === 'CONNECT' || headers.all('upgrade').length > 0) return true;
  return headers.all('connection').some(namesUpgrade);
}

function namesUpgrade(connection: string): boolean {
  // Almost every value is `keep-alive` or `close`: the list is split only if it can hold the token.
  if (connection.length < 'upgrade'.length) return false;
  return connection.split(',').some((option) => option.trim().toLowerCase() === 'upgrade');
}
