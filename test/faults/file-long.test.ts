import { CASES } from "./cases";
import { embeddedWorld } from "./embeddedWorld";
import { faultMatrix } from "./matrix";

faultMatrix("long work of the file driver", () => embeddedWorld("copies"), CASES.longWork);
