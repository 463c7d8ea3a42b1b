// Fastify with better-sqlite3 on its loop: the quickest usual way in Node. `node fastify_peer.js FILE PORT`
"use strict";
const fastify = require("fastify");
const Database = require("better-sqlite3");

const columns = "id, name, category, price, stock, note, updated_at_ms";
const db = new Database(process.argv[2], { readonly: true });
const readOne = db.prepare(`SELECT ${columns} FROM items WHERE id = ?`);
const page = db.prepare(`SELECT ${columns} FROM items WHERE id > ? ORDER BY id LIMIT 50`);

const app = fastify({ logger: false });
app.get("/rows/:key", async (request) => readOne.get(Number(request.params.key)));
app.get("/rows", async (request) => ({ rows: page.all(Number(request.query.after)) }));
app.listen({ port: Number(process.argv[3]), host: "127.0.0.1" });
