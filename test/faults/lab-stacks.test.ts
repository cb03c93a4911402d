import { describe, vi } from "vitest";
import { lioWorld, nvmetWorld } from "./kernelWorlds";
import { storageWorld } from "./storageWorld";
import { describeStacks } from "./stacks";

vi.setConfig({ testTimeout: 1_200_000 });

describe.each(["thin", "thick"] as const)("%s LVM", (kind) => {
    describeStacks(() => storageWorld(kind));
});

describe.each([
    ["LIO", lioWorld],
    ["nvmet", nvmetWorld],
] as const)("exports by %s", (_, world) => {
    describeStacks(() => world("thin"));
});
