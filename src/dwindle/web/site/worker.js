// Runs the package in Python, beside the page, so that the page never waits.
import { loadPyodide } from "../PYODIDE/pyodide.mjs";

async function start() {
  const [python, archive] = await Promise.all([
    loadPyodide(),
    fetch(new URL("dwindle.zip", import.meta.url)).then((answer) => answer.arrayBuffer()),
  ]);
  python.unpackArchive(archive, "zip", { extractDir: "/dwindle" });
  python.runPython("import sys; sys.path.insert(0, '/dwindle')");
  return python.pyimport("dwindle.web.calculate").calculate;
}

const ready = start();
ready.then(() => postMessage({ ready: true }), (error) => postMessage({ failed: String(error) }));

onmessage = async ({ data }) => {
  const calculate = await ready;
  postMessage({ id: data.id, answer: calculate(data.request) });
};
