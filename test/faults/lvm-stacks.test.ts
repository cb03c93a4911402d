import { describe } from "vitest";
import { lvmWorld } from "./lvmWorld";
import { describeStacks } from "./stacks";

describe.each(["thin", "thick"] as const)("%s LVM", (kind) => {
    describeStacks(() => lvmWorld(kind));
});
