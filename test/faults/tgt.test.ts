import { CASES } from "./cases";
import { embeddedWorld } from "./embeddedWorld";
import { faultMatrix } from "./matrix";

faultMatrix("exports by tgt", () => embeddedWorld("copies"), CASES.exports);
