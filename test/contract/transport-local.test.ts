import { createTransport } from "../../provider/transport";
import { testTransport } from "./transport";

for (const shell of ["dash", "bash --posix", "busybox sh"]) {
    testTransport(`this machine, ${shell}`, {
        make: () => createTransport({ name: "here", address: "local", shell }),
        connections: 0,
    });
}
