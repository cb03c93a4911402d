// @ts-check
/**
 * A stand-in for Pulumi's own `pulumi-language-nodejs`, `-python` and `-go`, which are not published as modules that
 * could be built here. Used only where the official ones are missing.
 *
 * It does what `pulumi up`, `preview`, `refresh` and `destroy` ask a language host for: a gRPC server that prints its
 * port and starts the program as the official one does (languages/). It does not install dependencies, generate code or
 * know package managers. Which language it stands for is in BLOCKHOST_LANGUAGE.
 */
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { resolve } from "node:path";

/** Exit status by which `cmd/run` says that it has told the user already. */
const alreadyReported = 32;

const require = createRequire(createRequire(import.meta.url).resolve("@pulumi/pulumi"));
const grpc = require("@grpc/grpc-js");
const { LanguageRuntimeService } = require("@pulumi/pulumi/proto/language_grpc_pb");
const messages = require("@pulumi/pulumi/proto/language_pb");
const { PluginInfo } = require("@pulumi/pulumi/proto/plugin_pb");
const { Empty } = require("google-protobuf/google/protobuf/empty_pb");

/** @type {{ start: (program: import("./languages/types.mjs").Program) => import("./languages/types.mjs").Start }} */
const language = await import(`./languages/${process.env["BLOCKHOST_LANGUAGE"] ?? "nodejs"}.mjs`);

const engine = process.argv.slice(2).find((argument) => !argument.startsWith("-")) ?? "";

/** @type {Set<import("node:child_process").ChildProcess>} */
const programs = new Set();

/** @param {any} request */
function runProgram(request) {
    // An older engine sends the working directory and the program, a newer one also ProgramInfo.
    const info = request.getInfo();
    const directory = resolve(info?.getProgramDirectory() || request.getPwd());
    const { command, args, env } = language.start({
        directory,
        entry: info?.getEntryPoint() || request.getProgram() || ".",
        root: info?.getRootDirectory() || directory,
        options: info?.getOptions()?.toJavaScript() ?? {},
        engine,
        monitor: request.getMonitorAddress(),
        project: request.getProject(),
        stack: request.getStack(),
        organization: request.getOrganization(),
        pwd: request.getPwd(),
        dryRun: request.getDryrun(),
        parallel: request.getParallel(),
        args: request.getArgsList(),
    });
    const program = spawn(command, args, {
        cwd: directory,
        // The engine shows what the program writes.
        stdio: ["ignore", "inherit", "inherit"],
        env: {
            ...process.env,
            PULUMI_CONFIG: JSON.stringify(Object.fromEntries(request.getConfigMap().toObject(true))),
            PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(request.getConfigsecretkeysList()),
            ...env,
        },
    });
    programs.add(program);
    return new Promise((done, fail) => {
        program.on("error", fail);
        program.on("close", (status, signal) => {
            programs.delete(program);
            const response = new messages.RunResponse();
            if (status === alreadyReported) response.setBail(true);
            else if (status !== 0)
                response.setError(`the program ended with ${signal ?? `status ${status}`}`);
            done(response);
        });
    });
}

function endPrograms() {
    for (const program of programs) program.kill("SIGTERM");
}

/** @type {(answer: (request: any) => any) => import("@grpc/grpc-js").handleUnaryCall<any, any>} */
const unary = (answer) => (call, callback) => {
    Promise.resolve()
        .then(() => answer(call.request))
        .then(
            (response) => callback(null, response),
            (error) => callback({ code: grpc.status.UNKNOWN, message: error.message }),
        );
};

const server = new grpc.Server();
server.addService(LanguageRuntimeService, {
    handshake: unary(() => new messages.LanguageHandshakeResponse()),
    getPluginInfo: unary(() => new PluginInfo().setVersion(require("@pulumi/pulumi/package.json").version)),
    getRequiredPackages: unary(() => new messages.GetRequiredPackagesResponse()),
    getRequiredPlugins: unary(() => new messages.GetRequiredPluginsResponse()),
    about: unary(() =>
        new messages.AboutResponse().setExecutable(process.execPath).setVersion(process.version),
    ),
    getProgramDependencies: unary(() => new messages.GetProgramDependenciesResponse()),
    runtimeOptionsPrompts: unary(() => new messages.RuntimeOptionsResponse()),
    installDependencies: (/** @type {any} */ call) => call.end(),
    run: unary(runProgram),
    cancel: unary(() => {
        endPrograms();
        return new Empty();
    }),
});
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error) throw error;
    process.stdout.write(`${port}\n`);
});

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
        endPrograms();
        process.exit(0);
    });
}
// An engine that was killed cannot say goodbye.
const parent = process.ppid;
setInterval(() => {
    if (process.ppid === parent) return;
    endPrograms();
    process.exit(1);
}, 1000).unref();
