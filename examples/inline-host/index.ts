/**
 * A storage host that this same program makes, so that its address is not known before `pulumi up`. The host is given
 * inline, with the same properties as under blockhost:hosts and a name for ids.
 *
 *     pulumi config set --path machine.address 10.0.0.5
 *     pulumi config set --path machine.user storage
 *     pulumi config set --path machine.sudo true
 *     pulumi config set --path machine.hostKey SHA256:…
 *     pulumi config set --path machine.pools.fast.driver file
 *     pulumi config set --path machine.pools.fast.directory /srv/fast
 *     pulumi config set pool fast
 *     pulumi config set size 10GiB
 *     pulumi up
 */
import * as pulumi from "@pulumi/pulumi";
import * as blockhost from "pulumi-blockhost";

/** Stands for what makes the machine: an instance of a cloud, a server from a rack. */
class Machine extends pulumi.dynamic.Resource {
    declare readonly address: pulumi.Output<string>;

    constructor(name: string, args: { booksAddress: pulumi.Input<string> }) {
        const provider: pulumi.dynamic.ResourceProvider = {
            create: async (inputs: { booksAddress: string }) => ({
                id: "machine-1",
                outs: { ...inputs, address: inputs.booksAddress },
            }),
        };
        super(provider, name, { address: undefined, ...args });
    }
}

const config = new pulumi.Config();
const { address, ...rest } = config.requireObject<blockhost.HostArgs>("machine");

const machine = new Machine("storage-1", { booksAddress: address });

const data = new blockhost.Volume("archive", {
    host: { ...rest, name: "storage-1", address: machine.address },
    pool: config.require("pool"),
    size: config.require("size"),
});

/** The host goes along from volume to snapshot. */
const first = new blockhost.Snapshot("archive-first", { volume: data });

export const volume = data.id;
export const snapshot = first.id;
