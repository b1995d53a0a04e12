/** A file server of Express: `node express.ts FOLDER`. Prints its port, then a line for each resource it resolved. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { relative } from 'node:path';
import express from 'express';

const root = process.argv[2] ?? '.';
const app = express();
const log = (id: unknown, resource: string): void => {
  process.stdout.write(`${JSON.stringify({ id, resource })}\n`);
};

// The gateway asks by POST; files are served to GET.
app.use((request, _response, next) => {
  log(request.headers['x-case'], '');
  request.method = 'GET';
  next();
});
// Its own routes ignore case and a trailing slash.
app.all(['/admin', '/admin/keys'], (request, response) => {
  log(request.headers['x-case'], 'admin/keys');
  response.send('admin');
});
app.use(
  express.static(root, {
    dotfiles: 'allow',
    setHeaders: (response, file) => {
      log(response.req.headers['x-case'], relative(root, file));
    },
  }),
);
app.use((_request, response) => {
  response.status(404).send('none');
});
app.use(((_error, _request, response, _next) => {
  response.status(400).send('unreadable');
}) satisfies express.ErrorRequestHandler);

const server = createServer({ keepAliveTimeout: 60_000 }, app);
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`);
});
