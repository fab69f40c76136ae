// A line between the browser and the console, which a test can cut and repair.
import { createServer, connect } from "node:net";

/** Opens a line to an address; returns its own address. */
export async function openLine(address) {
  const { hostname, port } = new URL(address);
  const sockets = new Set();
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const [socket, other] of [[near, far], [far, near]]) {
      sockets.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => { sockets.delete(socket); other.destroy(); });
    }
    near.pipe(far).pipe(near);
  });
  // A test that fails before it cuts the line must not keep the process alive.
  server.unref();
  const listen = (on) => new Promise((resolve) => { server.listen(on, "127.0.0.1", () => resolve(server.address().port)); });
  const own = await listen(0);
  const cut = () => new Promise((resolve) => {
    server.close(resolve);
    for (const socket of sockets) socket.destroy();
  });
  return { address: `http://127.0.0.1:${own}`, cut, repair: () => listen(own) };
}
