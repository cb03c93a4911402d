export { Export, type ExportArgs } from "./export";
export * from "./functions";
export type * from "./results";
export { Snapshot, type SnapshotArgs } from "./snapshot";
export * from "./types";
export { Volume, type VolumeArgs } from "./volume";
