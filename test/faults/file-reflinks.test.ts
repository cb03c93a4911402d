import { CASES } from "./cases";
import { embeddedWorld } from "./embeddedWorld";
import { faultMatrix } from "./matrix";

const cases = [...CASES.copies, ...CASES.ownership];
faultMatrix("the file driver where files share extents", () => embeddedWorld("reflinks"), cases);
