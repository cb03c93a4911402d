import * as pulumi from "@pulumi/pulumi";
import { ownerFrom } from "../../provider/faces/urn";
import { shim } from "./shim";

/** What all resources of blockhost have in common: who declares them, and the dynamic face underneath. */
export abstract class BlockhostResource extends pulumi.dynamic.Resource {
    protected constructor(
        kind: string,
        name: string,
        inputs: pulumi.Inputs,
        outputs: readonly string[],
        opts: pulumi.CustomResourceOptions,
        secretOutputs: readonly string[] = [],
    ) {
        const owner = pulumi
            .output(pulumi.createUrn(name, `pulumi-nodejs:dynamic/blockhost:${kind}`, opts.parent))
            .apply((urn) => ownerFrom(urn, organization()));
        // Outputs appear on the class only where a property of the name was passed.
        const props: pulumi.Inputs = {
            ...Object.fromEntries(outputs.map((key) => [key, undefined])),
            ...inputs,
            owner,
            kind,
        };
        const additionalSecretOutputs = [...(opts.additionalSecretOutputs ?? []), ...secretOutputs];
        // A stack may have had the plugin before.
        const aliases = [...(opts.aliases ?? []), { type: `blockhost:index:${kind}` }];
        super(shim, name, props, { ...opts, additionalSecretOutputs, aliases }, "blockhost", kind);
    }
}

/** As Pulumi calls it where there is none: programs under Pulumi's mocks have one only if they name it. */
function organization(): string {
    try {
        return pulumi.getOrganization();
    } catch {
        return "organization";
    }
}

/** The id of a resource, or an id as given. */
export function idOf(reference: pulumi.Resource | pulumi.Input<string>): pulumi.Input<string> {
    return pulumi.Resource.isInstance(reference) ? (reference as pulumi.CustomResource).id : reference;
}
