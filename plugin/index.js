// The program that PulumiPlugin.yaml stands for; bin/pulumi-resource-blockhost is the same without Pulumi's host.
require("../dist/provider/faces/plugin/main.js")
    .main(process.argv.slice(2))
    .catch((error) => {
        console.error(error);
        process.exit(1);
    });
