import * as pulumi from "@pulumi/pulumi";
import { deriveDhchapKey } from "../../provider/targets/dhchap";

/**
 * A key for {@link DhchapArgs}, made from a secret that is not one yet, such as a `random.RandomPassword`: always the same
 * for the same secret and purpose. Where keys come from `nvme gen-dhchap-key` it is not needed.
 *
 * @param secret at least 32 characters, random
 * @param purpose what the key is for, such as the NQN of the host; other purposes give other keys
 */
export function dhchapKey(secret: pulumi.Input<string>, purpose: string): pulumi.Output<string> {
    return pulumi.secret(pulumi.output(secret).apply((text) => deriveDhchapKey(text, purpose)));
}
