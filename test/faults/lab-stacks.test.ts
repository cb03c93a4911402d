import { describe, vi } from "vitest";
import { storageWorld } from "./storageWorld";
import { describeStacks } from "./stacks";

vi.setConfig({ testTimeout: 1_200_000 });

describe.each(["thin", "thick"] as const)("%s LVM", (kind) => {
    describeStacks(() => storageWorld(kind));
});
