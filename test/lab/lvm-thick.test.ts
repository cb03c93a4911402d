import { describe } from "vitest";
import { describeVolumes } from "../contract/volumes";
import { startLab } from "./lab.mjs";
import { lvmBackend } from "./lvmBackend";

describe("on thick LVM", () => {
    describeVolumes(lvmBackend("thick", () => startLab({ hosts: ["a"] })));
});
