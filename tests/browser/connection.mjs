export async function connection() {}
