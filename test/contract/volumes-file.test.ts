import { describe } from "vitest";
import { fileBackend } from "./support/fileBackend";
import { describeVolumes } from "./volumes";

describe("on the file driver", () => {
    describeVolumes(fileBackend());
});
