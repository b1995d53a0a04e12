import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Clock, StartTimer } from '../decision/ports.ts';
import { type ListenAddress, parseListenAddress } from '../listener/address.ts';
import { type Connections, trackConnections } from '../listener/connections.ts';
import { listen } from '../listener/listen.ts';
import { createTls, type Tls } from '../listener/tls.ts';
import type { Logger } from '../telemetry/logger.ts';
import { createApp } from './app.ts';
import { createArchives } from './archives.ts';
import { createAuditLog } from './audit-log.ts';
import { type Catalog, createCatalog } from './catalog.ts';
import { createChangeRoutes } from './change-routes.ts';
import { createChanges } from './changes.ts';
import type { BundleServerConfig } from './config.ts';
import { createDelivery, ordersTopic } from './delivery.ts';
import { createDiskStore } from './disk-store.ts';
import { createFleet } from './fleet.ts';
import { createFleetRoutes } from './fleet-routes.ts';
import type { ObjectStore } from './object-store.ts';
import { createOrderAnswers, type OrderAnswers } from './order-answers.ts';
import { createRights } from './rights.ts';
import { createS3Store } from './s3-store.ts';
import { loadVerifier, type Verifier } from './verifier.ts';
import { createWaiters } from './waiters.ts';

export interface BundleServerPorts {
  /** Its paths are absolute. */
  readonly config: BundleServerConfig;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly logger: Logger;
  /** Throws for JSON text that two readers could read differently. */
  readonly parseJson: (text: string) => unknown;
  /** A name that nobody else takes, of letters and digits. */
  readonly uniqueName: () => string;
  /** In place of the store that the config names. */
  readonly store?: ObjectStore;
}

export interface BundleServer {
  /** Throws when a key, the store or the address cannot be used. */
  start(): Promise<{ readonly address: ListenAddress }>;
  stop(): Promise<void>;
  /** Clients that wait for something new. */
  waiting(): number;
}

/** Stores what authors signed, and hands it to the fleet; holds no key that could sign. */
export function createBundleServer(ports: BundleServerPorts): BundleServer {
  const { config, startTimer, logger } = ports;
  const { limits, storage } = config;
  const waiters = createWaiters({ max: limits.max_waiters, startTimer });
  const store = ports.store ?? openStore(ports);
  let running:
    | {
        readonly server: Server;
        readonly connections: Connections;
        readonly tls: Tls | undefined;
        readonly orders: OrderAnswers;
      }
    | undefined;
  let cancelRefresh: (() => void) | undefined;

  function refreshLater(catalog: Catalog): void {
    cancelRefresh = startTimer(storage.refresh_seconds * 1000, () => {
      catalog
        .refresh()
        .catch((error: unknown) => {
          const why = error instanceof Error ? error.message : String(error);
          logger.limited('refresh', 'warn', { why }, 'the store could not be read; what is known goes on');
        })
        .finally(() => {
          if (running !== undefined) refreshLater(catalog);
        });
    });
  }

  return {
    waiting: () => waiters.count(),
    start: async () => {
      const verifier = await loadVerifier(config.bundles);
      const catalog = createCatalog({
        store,
        verifier,
        bundles: Object.keys(config.bundles),
        maxArchiveBytes: limits.max_archive_bytes,
        logger,
        onChange: (bundle) => {
          waiters.wake(bundle);
          waiters.wake(ordersTopic(bundle));
        },
      });
      await catalog.refresh();
      const { app, orders } = compose(ports, { store, catalog, verifier, waiters });
      const tls = config.tls && createTls({ files: config.tls, startTimer });
      tls?.start();
      const transferMs = limits.transfer_seconds * 1000;
      const options = {
        headersTimeout: 5000,
        requestTimeout: transferMs + 5000,
        connectionsCheckingInterval: 1000,
        maxHeaderSize: 32 * 1024,
      };
      const server =
        tls === undefined ? createServer(options, app) : createTlsServer({ ...options, ...tls.serverOptions() }, app);
      server.maxConnections = limits.max_connections;
      if (tls !== undefined && 'setSecureContext' in server) tls.attach(server);
      running = { server, connections: trackConnections(server), tls, orders };
      const address = await listen(server, parseListenAddress(config.listen));
      refreshLater(catalog);
      return { address };
    },
    stop: async () => {
      const stopped = running;
      running = undefined;
      cancelRefresh?.();
      waiters.close();
      stopped?.tls?.stop();
      stopped?.orders.stop();
      await stopped?.connections.drain({
        startTimer,
        graceMs: GRACE_MS,
        closeIdle: () => stopped.server.closeIdleConnections(),
      });
    },
  };
}

const GRACE_MS = 1000;

function compose(
  { config, clock, startTimer, logger, parseJson }: BundleServerPorts,
  parts: {
    readonly store: ObjectStore;
    readonly catalog: Catalog;
    readonly verifier: Verifier;
    readonly waiters: ReturnType<typeof createWaiters>;
  },
) {
  const { store, catalog, verifier, waiters } = parts;
  const { limits } = config;
  const bundles = new Map(Object.entries(config.bundles));
  const transferMs = limits.transfer_seconds * 1000;
  const archives = createArchives({
    store,
    maxArchiveBytes: limits.max_archive_bytes,
    cacheBytes: limits.cache_bytes,
    onDamage: (bundle, sha256) => logger.error({ bundle, sha256 }, 'a stored archive is damaged; publish it again'),
  });
  const fleet = createFleet({
    clock,
    maxInstances: limits.max_instances,
    maxInstancesPerToken: limits.max_instances_per_token,
    forgetAfterMs: limits.forget_instance_seconds * 1000,
    onTrips: (bundle) => orders.noteTrips(bundle),
  });
  const orders = createOrderAnswers({
    shelfOf: (bundle) => catalog.shelf(bundle),
    tripsOf: (bundle, sha256, enough) => fleet.trips(bundle, sha256, enough),
    onChange: (bundle) => waiters.wake(ordersTopic(bundle)),
    startTimer,
  });
  const changes = createChanges({ store, catalog, verifier, audit: createAuditLog(config.audit_log), clock, logger });
  const app = createApp({
    bundles,
    rights: createRights(config),
    delivery: createDelivery({
      bundles,
      catalog,
      archives,
      waiters,
      orderAnswer: (bundle) => orders.answer(bundle),
      maxWaitSeconds: limits.max_wait_seconds,
      transferMs,
      clock,
      startTimer,
      logger,
    }),
    changes: createChangeRoutes({
      bundles,
      changes,
      maxArchiveBytes: limits.max_archive_bytes,
      transferMs,
      startTimer,
      parseJson,
    }),
    fleet: createFleetRoutes({ catalog, fleet, clock, startTimer, parseJson }),
    logger,
  });
  return { app, orders };
}

function openStore({ config, clock, uniqueName }: BundleServerPorts): ObjectStore {
  const { disk, s3 } = config.storage;
  if (disk !== undefined) return createDiskStore({ folder: disk.dir, clock, uniqueName });
  if (s3 !== undefined) return createS3Store(s3);
  throw new Error('`storage` names neither `disk` nor `s3`');
}
