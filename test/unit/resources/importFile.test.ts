import { expect, test, vi } from "vitest";
import { lvmDriver } from "../../../provider/drivers/lvm";
import { Hosts } from "../../../provider/host/hosts";
import { HOST_TOOLS } from "../../../provider/host/observation";
import { getUnmanaged } from "../../../provider/resources/functions/unmanaged";
import { importFile } from "../../../provider/resources/importFile";
import { OWNER, THICK, VG_UUID, contextOf, cowLv, lv, tags } from "../../support/lvmFacts";

/** Volumes of a group that others have made, one of them with a snapshot. */
const world = {
    options: THICK,
    record: VG_UUID,
    volumes: [
        lv("ours", tags()),
        lv("theirs"),
        cowLv("theirs-before", "theirs"),
        lv("in-use", { lv_device_open: "open" }),
    ],
};

function hostWith() {
    const pools = { fast: { driver: "lvm", ...THICK } };
    const hosts = new Hosts({ san1: { address: "local", pools } });
    const { host: facts, pool } = contextOf(world);
    const tools = [...Object.keys(HOST_TOOLS), ...Object.keys(lvmDriver.tools(pool.options))];
    vi.spyOn(hosts.get("san1"), "facts").mockResolvedValue({ ...facts, tools: new Set(tools) });
    return { hosts, installation: OWNER.installation, warn: () => undefined };
}

test("a file for import names what an import takes: marked volumes, and unmarked ones that are asked for", async () => {
    const context = hostWith();
    const ours = { type: "blockhost:index:Volume", name: OWNER.resource, id: "san1/fast/ours" };
    const theirs = { type: "blockhost:index:Volume", name: "theirs", id: "san1/fast/theirs" };
    expect(await importFile(context, "san1", {})).toEqual({ resources: [ours] });
    expect(await importFile(context, "san1", { unmanaged: true })).toEqual({ resources: [ours, theirs] });
    expect(await importFile(context, "san1", { stack: "another", unmanaged: true })).toEqual({
        resources: [theirs],
    });
});

test("a snapshot that carries no mark has no id for import: it is adopted, by its volume", async () => {
    const { objects } = (await getUnmanaged.run(hostWith(), { host: "san1" })) as {
        objects: { reference: string; kind: string; id: string }[];
    };
    expect(objects.map(({ reference, kind, id }) => [reference, kind, id])).toEqual([
        ["in-use", "volume", "san1/fast/in-use"],
        ["theirs", "volume", "san1/fast/theirs"],
        ["theirs-before", "snapshot", ""],
    ]);
});
