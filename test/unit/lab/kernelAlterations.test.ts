import { describe, expect, test } from "vitest";
import { observed as observedLio } from "../../../provider/targets/lio/observe";
import { observed as observedNvmet } from "../../../provider/targets/nvmet/observe";
import type { Alteration } from "../../lab/support/kernelSuite";
import { lioSuite } from "../../lab/support/lioSuite";
import { nvmetSuite } from "../../lab/support/nvmetSuite";

/** What is read of a kernel's export is altered by hand in the lab (`kernelSuite`): nothing compared is left out. */

const nowhere = {
    connect: () => Promise.reject(new Error("no host")),
    disconnect: () => Promise.resolve(),
    devices: ["/dev/one", "/dev/two"] as const,
    portal: "127.0.0.1:1",
    other: "127.0.0.1:2",
};

function leftOut(attributes: readonly string[], alterations: readonly Alteration[]): string[] {
    const text = alterations.map(({ by }) => by).join("\n");
    return attributes.filter((name) => !new RegExp(`/${name}\\b`).test(text));
}

describe("attributes that are read and that no alteration writes", () => {
    test("of LIO: what it only shows", () => {
        const { ref, alterations } = lioSuite(nowhere);
        expect(leftOut(observedLio(ref).attributes, alterations)).toEqual(["info", "dynamic_sessions"]);
    });

    test("of nvmet: what a port is found by", () => {
        const { ref, alterations } = nvmetSuite(nowhere);
        const { attributes } = observedNvmet(ref);
        expect(leftOut(attributes, alterations)).toEqual(["addr_trtype"]);
    });
});
