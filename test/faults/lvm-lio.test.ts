import { CASES } from "./cases";
import { lioWorld } from "./lioWorld";
import { faultMatrix } from "./matrix";
import { MOMENTS, STOPS } from "./stops";

const { between, inside, transit } = STOPS;
faultMatrix("exports by LIO", lioWorld, CASES.exports, [...between, ...inside, ...transit, ...MOMENTS], {
    slow: true,
});
