// What OpenCode does with a plugin at the end of a turn, in its own runtime: idle.mjs <plugin> [<folder>] prints what the plugin has
// said to which session. A session of a subagent ends first. Without a folder it is told one with a name that fills a pipe.
const [plugin, directory = "x".repeat(200_000)] = process.argv.slice(2)
const { Parler } = await import(plugin)
const said = []
const session = {
  get: async ({ path }) => ({ data: { id: path.id, parentID: path.id === "subagent" ? "session" : undefined } }),
  prompt: async ({ path, body }) => {
    said.push([path.id, ...body.parts.map((part) => part.text)])
    await hooks["chat.message"]({ sessionID: path.id }, {})
  },
}
const hooks = await Parler({ client: { session }, directory })
for (const sessionID of ["subagent", "session"]) {
  await hooks.event({ event: { type: "session.idle", properties: { sessionID } } })
}
console.log(JSON.stringify(said))
