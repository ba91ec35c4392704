
// Tells the agent at the end of its turn how much waits for it in its session of git parler, and from whom.
export const Parler = async ({ client, $, directory }) => {
  const input = JSON.stringify({ cwd: directory })
  const hook = async (event) => {
    const ran = await $`echo ${input} | sh -c ${`exec ${program} hook opencode ${event}`}`.nothrow().quiet()
    return ran.exitCode === 0 ? ran.stdout.toString().trim() : ""
  }
  let isOurs = false
  return {
    "chat.message": async () => {
      if (!isOurs) await hook("chat.message")
      isOurs = false
    },
    event: async ({ event }) => {
      if (event.type !== "session.idle") return
      const id = event.properties.sessionID
      const session = await client.session.get({ path: { id } })
      if (session.data?.parentID) return
      const text = await hook("session.idle")
      if (!text) return
      isOurs = true
      await client.session.prompt({ path: { id }, body: { parts: [{ type: "text", text }] } })
    },
  }
}
