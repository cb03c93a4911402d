import { PropertyDiff } from "@pulumi/pulumi/proto/provider_pb";
import { expect, test } from "vitest";
import { detailedDiff, toDiffResponse } from "../../../provider/faces/plugin/diff";
import { formatPath } from "../../../provider/validate";
import type { Change } from "../../../provider/resources/types";
import { UNKNOWN } from "../../../provider/validate";

/** Pulumi's detailed diff of changes that a lifecycle tells. */

const change = (property: string, kind: Change["kind"] = "update"): Change => ({
    property,
    kind,
    class: "none",
    reason: "",
});

function kinds(changes: readonly Change[], before: object, after: object, unknown = false) {
    const given = [before, after] as [Record<string, unknown>, Record<string, unknown>];
    const response = toDiffResponse(detailedDiff(changes, ...given, unknown), ["generation"]);
    const names = Object.entries(PropertyDiff.Kind);
    const detailed: Record<string, string | undefined> = {};
    response.getDetaileddiffMap().forEach((one: PropertyDiff, path: string) => {
        detailed[path] = names.find(([, value]) => value === one.getKind())?.[0];
    });
    return {
        detailed,
        replaces: response.getReplacesList(),
        deleteFirst: response.getDeletebeforereplace(),
        stables: response.getStablesList(),
    };
}

test.each([
    ["ADD", {}, { p: 1 }, "update"],
    ["DELETE", { p: 1 }, {}, "update"],
    ["UPDATE", { p: 1 }, { p: 2 }, "update"],
    ["ADD_REPLACE", {}, { p: 1 }, "replace"],
    ["DELETE_REPLACE", { p: 1 }, {}, "replace"],
    ["UPDATE_REPLACE", { p: 1 }, { p: 2 }, "replace"],
] as const)("%s: of %o to %o, by a change that is to %s", (expected, before, after, kind) => {
    const replaces = kind === "replace";
    expect(kinds([change("p", kind)], before, after)).toEqual({
        detailed: { p: expected },
        replaces: replaces ? ["p"] : [],
        deleteFirst: replaces,
        // What a replacement makes is new in everything.
        stables: replaces ? [] : ["generation"],
    });
});

test("each value within a property is told by its path", () => {
    const before = { initiators: [{ iqn: "a", chap: { password: "x" } }, { iqn: "b" }] };
    const after = { initiators: [{ iqn: "a", chap: { password: "y" } }] };
    expect(kinds([change("initiators")], before, after).detailed).toEqual({
        "initiators[0].chap.password": "UPDATE",
        "initiators[1]": "DELETE",
    });
});

test("what is not known yet may turn out to be a change", () => {
    const given = [{ source: "san1/fast/a" }, { source: UNKNOWN }] as const;
    expect(kinds([], ...given, true).detailed).toEqual({ source: "UPDATE" });
});

test("what differs on the host, and not in the program, is told as the state's", () => {
    const [difference] = detailedDiff([change("drift")], {}, {}, false);
    expect(difference).toEqual({ path: "drift", kind: "update", replace: false, input: false });
});

test.each([
    [["initiators", 0, "chap", "password"], "initiators[0].chap.password"],
    [["host", "pools", "my.pool"], 'host.pools["my.pool"]'],
    [["host", "targets", "nvme-tcp"], "host.targets.nvme-tcp"],
])("the path of %o is %s", (path, text) => {
    expect(formatPath(path)).toBe(text);
});
