import { describe } from "vitest";
import { describeVolumes } from "../contract/volumes";
import { startLab } from "./lab.mjs";
import { lvmBackend } from "./lvmBackend";

describe("on thin LVM", () => {
    describeVolumes(lvmBackend("thin", () => startLab({ hosts: ["a"] })));
});
