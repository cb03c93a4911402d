export { Attachment, type AttachmentArgs } from "./attachment";
export { dhchapKey } from "./dhchapKey";
export { Export, type ExportArgs } from "./export";
export * from "./functions";
export type * from "./results";
export { Pool, type PoolArgs } from "./pool";
export { Snapshot, type SnapshotArgs } from "./snapshot";
export * from "./types";
export { Volume, type VolumeArgs } from "./volume";
