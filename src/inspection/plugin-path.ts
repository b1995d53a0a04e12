import { RequestFault } from '../decision/errors.ts';
import { percentDecode } from './percent-decoding.ts';

/**
 * opa-envoy-plugin's `parsed_path`: all before the first `?`, decoded as a whole, leading slashes dropped, split.
 * Dot segments stay. Throws `malformed_request` on a bad escape, as the plugin denies there.
 */
export function parsePluginPath(target: string): readonly string[] {
  const query = target.indexOf('?');
  const decoded = percentDecode(query < 0 ? target : target.slice(0, query), false);
  if (decoded === undefined) throw new RequestFault('malformed_request', 'the path has a bad percent escape');
  let start = 0;
  while (decoded.charCodeAt(start) === 0x2f) start++;
  return decoded.slice(start).split('/');
}
