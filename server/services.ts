import type { Access } from './access/access.js';
import type { BatchApi } from './batches/api.js';
import type { Limits } from './config.js';
import type { FrameDecoder } from './decode/decoder.js';
import type { Inference } from './inference/inference.js';
import type { Clips } from './jobs/clips.js';
import type { Library } from './library/library.js';
import type { Metrics } from './metrics.js';
import type { Disk } from './store/disk.js';
import type { DataFolder } from './store/files.js';
import type { Arrivals } from './uploads/arrivals.js';

/** What routes work with. */
export interface Services {
  readonly library: Library;
  readonly arrivals: Arrivals;
  readonly access: Access;
  readonly folder: DataFolder;
  readonly disk: Disk;
  readonly inference: Inference;
  readonly batches: BatchApi;
  readonly decoder: FrameDecoder;
  readonly clips: Clips;
  readonly metrics: Metrics;
  readonly limits: Limits;
  /** The pack that is served; null where it could not be read. */
  readonly model: { readonly id: string } | null;
  /** Of this program. */
  readonly version: string;
}
